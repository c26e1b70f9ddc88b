"""Retell's WebRTC gateway: the server's side of web calls.

::

    HTTP      ─▶ Gateway ─▶ sessions: join, trickle, renegotiate, leave
    RTP, Opus ─▶ Peer ─▶ CallerAudio ─▶ GatewayLine ─▶ Session: an agent, as on a WebSocket
    RTP, Opus ◀─ Peer ◀─ AgentStream ◀─ GatewayLine ◀─
    control   ◀─ Peer ◀───────────────── GatewayLine ◀─  the end of the call

``peer.py`` is all that needs ``aiortc``; it is loaded with the first web call.
"""
