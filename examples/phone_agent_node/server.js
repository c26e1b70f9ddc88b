// A phone agent as a Node server: it says back what its caller says, as Twilio has it.
//
//     npm install
//     node server.js
//     retell-voice talk --dialect twilio --url ws://localhost:8765/ws
//
// Talk over it and it falls silent; the key # hangs up.

const { WebSocketServer } = require("ws");

const LOUD = 0x40; // of the 128 levels of µ-law: about −30 dBFS
const PAUSE = 4800; // samples of silence after which it is the agent's turn

class Agent {
  constructor(socket) {
    this.socket = socket;
    this.stream = "";
    this.heard = [];
    this.silent = 0; // samples since the caller was loud
    this.speaking = false;
  }

  take(message) {
    switch (message.event) {
      case "start":
        this.stream = message.streamSid;
        console.log("call", JSON.stringify(message.start.customParameters));
        break;
      case "media":
        this.listen(Buffer.from(message.media.payload, "base64"));
        break;
      case "mark": // the caller has heard all of it, or it was cleared
        this.speaking = false;
        break;
      case "dtmf":
        if (message.dtmf.digit === "#") this.socket.close(1000);
        break;
    }
  }

  listen(audio) {
    const isLoud = audio.some((byte) => ((byte ^ 0xff) & 0x7f) > LOUD);
    this.silent = isLoud ? 0 : this.silent + audio.length;
    if (isLoud && this.speaking) this.say("clear");
    if (isLoud || this.heard.length) this.heard.push(audio);
    if (this.heard.length && this.silent >= PAUSE) {
      const payload = Buffer.concat(this.heard).toString("base64");
      this.heard = [];
      this.speaking = true;
      this.say("media", { media: { payload } });
      this.say("mark", { mark: { name: "said" } });
    }
  }

  say(event, more = {}) {
    this.socket.send(JSON.stringify({ event, streamSid: this.stream, ...more }));
  }
}

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2] ?? 8765) });
server.on("listening", () => console.log(`ws://localhost:${server.address().port}/ws`));
server.on("error", (error) => {
  console.error(`${error.message}; another port is an argument, 0 any free one`);
  process.exitCode = 1;
});
server.on("connection", (socket) => {
  const agent = new Agent(socket);
  socket.on("message", (data) => agent.take(JSON.parse(data)));
});
