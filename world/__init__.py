"""The embedded model's world: real things on a plain ground, the prompts that ask for them, and the model's training."""
