"""Where bytes live: digests, manifests, snapshots, object stores, datastores and the workspace."""
