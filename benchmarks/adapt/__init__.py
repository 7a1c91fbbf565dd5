"""Which way of adapting a pretrained network to take: all of them on the same network and pictures, and a peer."""
