"""The servers that ours is compared with, each as its own documentation would write it."""
