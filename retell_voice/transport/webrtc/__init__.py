"""Today's web calls: HTTP signalling, a control channel, and Opus over WebRTC, both ways.

::

    WebRtcRoute ── admit ──▶ create-web-call
         │      ── join ───▶ Signalling ──HTTP──▶ gateway        once, and left again in any case
         │      ── offer ──▶ Peer ◀──UDP, or a relay──▶ gateway
         ▼
    WebRtcConnection ◀─ packets, control messages ── Peer ◀─ frames
                     ◀─ transcript ── Monitor, where there is a key

``media`` and ``signalling`` load aiortc and httpx: whoever dials imports them, on a thread.
"""
