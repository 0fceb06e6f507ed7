"""The life of a step: resolve, fingerprint, look up, stage, launch, commit, publish; and the local runner."""
