"""One model, or a stack of models, on one subset each."""
