"""Segmentation with few labels: a U-Net of this package beside one of segmentation_models_pytorch."""
