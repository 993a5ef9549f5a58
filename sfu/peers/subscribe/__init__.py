"""The subscribing side: peers that we send to, their downtracks, slots and bandwidth."""
