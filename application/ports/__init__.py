"""What the use cases need of the world, one need a file, in our own words."""
