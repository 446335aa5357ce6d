"""Conv4Rec Certified: the studies, the command line and everything that ties the model to its bounds."""
