from pushforward.compat import sklearn as sklearn
