"""What a trained run leaves behind, and thousands of them."""
