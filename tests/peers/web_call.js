// A page's side of a web call, after what Retell's gateway is known to take; none of our code.

const ended = [];
let connection, base, session, headers, control, recorder, trickled = "";

async function ask(method, path, body, type = "application/json") {
  const answer = await fetch(base + path, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { "Content-Type": type }) },
    body: type === "application/json" && body !== undefined ? JSON.stringify(body) : body,
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text;
}

async function create(api, key) {
  const answer = await fetch(`${api}/v3/create-web-call`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ agent_id: "parrot" }),
  });
  if (answer.status !== 201) throw new Error(`create: ${answer.status}`);
  return answer.json();
}

async function microphone() {
  return navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
}

async function join(api, callId, token, identity) {
  base = `${api}/webrtc-proxy/${callId}/v1/webrtc/sessions`;
  headers = { Authorization: `Bearer ${token}`, "X-Retell-Client-JS-SDK-Version": "3.0.2" };
  connection = new RTCPeerConnection({ iceServers: [] });
  control = connection.createDataChannel("control");
  control.onmessage = (event) => ended.push(JSON.parse(event.data));
  if (identity === "client") {
    const stream = await microphone();
    stream.getAudioTracks().forEach((track) => connection.addTrack(track, stream));
  } else {
    connection.addTransceiver("audio", { direction: "recvonly" });
  }
  const heard = new Promise((found) => {
    connection.ontrack = (event) => found(new MediaStream([event.track]));
  });
  const waiting = [];
  connection.onicecandidate = (event) => {
    if (!event.candidate) return;
    trickled += `${event.candidate.candidate}\n`;
    if (session) ask("PATCH", `/${session}`, { candidate: event.candidate.toJSON() }).catch(() => {});
    else waiting.push(event.candidate);
  };
  await connection.setLocalDescription();
  const answer = JSON.parse(await ask("POST", "", { identity, sdp: connection.localDescription.sdp }));
  session = answer.session_id;
  waiting.forEach((each) => ask("PATCH", `/${session}`, { candidate: each.toJSON() }).catch(() => {}));
  await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  await connected();
  record(await heard);
  return { answer: answer.sdp, trickled };
}

async function connected() {
  while (connection.connectionState !== "connected") {
    if (connection.connectionState === "failed") throw new Error("the connection failed");
    await new Promise((done) => connection.addEventListener("connectionstatechange", done, { once: true }));
  }
}

function record(stream) {
  const audio = new Audio();  // or nothing flows
  audio.srcObject = stream;
  audio.muted = true;
  audio.play();
  const context = new AudioContext({ sampleRate: 48000 });
  const node = context.createScriptProcessor(4096, 1, 1);
  recorder = [];
  node.onaudioprocess = (event) => recorder.push(new Float32Array(event.inputBuffer.getChannelData(0)));
  context.createMediaStreamSource(stream).connect(node);
  node.connect(context.destination);
}

function recorded(seconds) {
  const samples = recorder.slice(-Math.ceil((seconds * 48000) / 4096)).flatMap((each) => [...each]);
  return samples.map((each) => Math.round(each * 32767));
}

async function speak() {
  const stream = await microphone();
  const [transceiver] = connection.getTransceivers().filter((each) => each.receiver.track.kind === "audio");
  await transceiver.sender.replaceTrack(stream.getAudioTracks()[0]);
  transceiver.direction = "sendrecv";
  await connection.setLocalDescription();
  const answer = await ask("PATCH", `/${session}`, connection.localDescription.sdp, "application/sdp");
  await connection.setRemoteDescription({ type: "answer", sdp: answer });
}

async function statistics() {
  const found = {};
  (await connection.getStats()).forEach((each) => {
    if (each.type === "inbound-rtp") Object.assign(found, { received: each.packetsReceived, lost: each.packetsLost, concealed: each.concealedSamples, total: each.totalSamplesReceived });
  });
  return found;
}

async function leave() {
  await ask("DELETE", `/${session}`);
  connection.close();
}
