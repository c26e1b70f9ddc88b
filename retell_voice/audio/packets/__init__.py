"""Receiving a real-time stream of packets, as WebRTC's NetEQ does: reorder, decode at play time,
conceal what is missing, and follow the network's delay.

::

    packets ─▶ PacketPlayout ── PacketBuffer     order, duplicates, late and lost packets
                             ├─ DelayEstimator   how long a packet has to wait
                             ├─ Decoder          decode, conceal, recover (injected)
                             ├─ SyncBuffer       decoded samples, and those played last
                             ├─ TimeStretch      a pitch period less, or one more
                             └─ Utterances       where the agent starts and stops, by loudness
"""
