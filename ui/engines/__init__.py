"""Where a search is computed: `base` says what an engine is, `local` and `zero` are two; `models` changes the model."""
