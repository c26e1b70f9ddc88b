"""Receiving a real-time stream of packets the way WebRTC's NetEQ does: reorder, decode at play
time, conceal what is missing, and follow the network's delay.

::

    packets ─▶ PacketPlayout ── PacketBuffer     order, duplicates, late and lost packets
                             ├─ DelayEstimator   how long packets should wait
                             ├─ Decoder          decode, conceal, recover (injected)
                             ├─ SyncBuffer       decoded samples, and those last played
                             ├─ TimeStretch      one pitch period less, or more
                             ├─ NoiseFloor       where that is not heard: noise behind the voice
                             └─ Utterances       where the agent starts and stops, by loudness

With Opus at 24 or 48 kHz a block of 10 ms costs 30 µs on average, 0.1 to 0.25 ms where time is
stretched or audio is merged (x86-64, one core of a busy server).
"""
