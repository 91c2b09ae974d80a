"""Training recipe of the demo voice: data, alignment, tokens, text-to-tokens and SoVITS, in our own code."""
