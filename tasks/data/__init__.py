"""What every domain's data need: verified, cached, decoded and loaded."""
