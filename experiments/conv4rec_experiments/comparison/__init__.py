"""The evaluation protocol, and recommenders that are compared under it: Conv4Rec, and the peers that people use."""
