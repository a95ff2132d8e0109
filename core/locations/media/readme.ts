/** What whoever finds the media in a drawer reads first. */
export const README = `Backups made by Holdfast.

They are encrypted. To read them you need these media, the key file of the installation (or its KMS keys), and its person keys;
none of those keys is here.

Are they as they were written?

  holdfast media verify DIR                     with the key file named in holdfast.yaml
  holdfast media verify DIR --public-key FILE   with the public keys alone: no network, no database
  cd DIR && sha256sum -c media/NEWEST.sha256    without Holdfast: whether the bytes are those that were written, not by whom

To bring them back into a store:

  holdfast media import DIR

The directory is also a store by itself: name it under "store:" in holdfast.yaml and restore from it.
`;
