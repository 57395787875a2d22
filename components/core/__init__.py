"""What every step shares and nothing else: no step imports another step."""
