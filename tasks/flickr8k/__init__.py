"""Flickr8k captioning: a NeuralTalk captioner on the features of a frozen network."""
