"""Moving about in latent space: paths between codes, planes through it."""
