"""What servers and clients of Socket V2 are checked for."""
