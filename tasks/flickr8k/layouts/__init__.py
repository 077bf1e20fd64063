"""The layouts in which Flickr8k's captions and features are had."""
