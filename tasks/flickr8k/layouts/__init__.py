"""The two layouts of Flickr8k: that of its authors and that of Karpathy."""
