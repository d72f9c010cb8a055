"""Files of Keras: read, and written so that every Keras 3 reads them. They need the package h5py."""
