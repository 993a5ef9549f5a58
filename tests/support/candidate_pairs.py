"""Candidates that a page's calls use: those of the peers in `window.watchedPeers`."""

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
    """Return a script that lists nominated pairs, each as a JavaScript expression of `local` and `remote` has it."""
    return _SCRIPT.replace("DESCRIBED", described)
