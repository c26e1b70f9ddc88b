// A page's side of a measured web call: the card's microphone out, the agent's voice to the card.

let connection;

async function call(url, callId) {
  connection = new RTCPeerConnection({ iceServers: [] });
  connection.createDataChannel("control");
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  stream.getAudioTracks().forEach((track) => connection.addTrack(track, stream));
  connection.ontrack = (event) => {
    const audio = new Audio();
    audio.srcObject = new MediaStream([event.track]);
    audio.play();
    window.playing = audio;
  };
  const gathered = new Promise((done) => {
    connection.onicecandidate = (event) => event.candidate || done();
  });
  await connection.setLocalDescription();
  await gathered;
  const answer = await fetch(`${url}/webrtc-proxy/${callId}/v1/webrtc/sessions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ identity: "client", sdp: connection.localDescription.sdp }),
  });
  await connection.setRemoteDescription({ type: "answer", sdp: (await answer.json()).sdp });
}

async function figures() {
  let found = {};
  (await connection.getStats()).forEach((each) => {
    if (each.type === "inbound-rtp") found = each;
  });
  return {
    received: found.packetsReceived,
    concealed: found.concealedSamples - found.silentConcealedSamples,
    total: found.totalSamplesReceived,
    delay: found.jitterBufferDelay,
    emitted: found.jitterBufferEmittedCount,
  };
}
