"""What is done to images: preprocessing, random changes, corruptions, and the lab that shows each of them at work."""
