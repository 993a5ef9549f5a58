"""Candidates used by a page's calls, from the peers in `window.watchedPeers`."""

_SCRIPT = """
(async () => {
  const used = [];
  for (const peer of window.watchedPeers) {
    if (peer.connectionState !== 'connected') continue;
    const all = await peer.getStats();
    all.forEach((pair) => {
      if (pair.type !== 'candidate-pair' || pair.state !== 'succeeded' || !pair.nominated) return;
      const local = all.get(pair.localCandidateId), remote = all.get(pair.remoteCandidateId);
      used.push(DESCRIBED);
    });
  }
  return used;
})()
"""


def nominated_pairs(described: str) -> str:
    """Return a script that lists nominated pairs, each described by a JavaScript expression of `local` and `remote`."""
    return _SCRIPT.replace("DESCRIBED", described)
