"""The simulated market as a service: decisions in, samples out, as with a real platform."""
