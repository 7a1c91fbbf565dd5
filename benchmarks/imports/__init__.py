"""What importing other people's networks needs and costs: escnn's bases, and the time that it takes."""
