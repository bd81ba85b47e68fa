/** Files that were dropped for another step; that step takes them when it is shown. */
let image = $state.raw<File | null>(null);

export const inbox = {
  /** An image for Try. Set it to null once it is taken. */
  get image(): File | null {
    return image;
  },
  set image(file: File | null) {
    image = file;
  },
};
