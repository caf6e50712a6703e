"""Images made from images: the tasks of pix2pix (Isola et al. 2017), each in one command."""
