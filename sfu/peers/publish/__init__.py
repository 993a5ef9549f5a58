"""The publishing side: peers that send to us, their streams, and uptracks."""
