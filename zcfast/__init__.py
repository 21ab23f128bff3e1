"""zcfast: score neural networks without training them."""
