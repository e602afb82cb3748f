"""What runs Gatecast on real machines; not part of the distribution."""
