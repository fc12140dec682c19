"""The embedded model's world: real things on a plain ground, prompts that ask for them, and the model's training."""
