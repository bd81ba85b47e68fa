/** The case of `VNImageCropAndScaleOption` by which Vision makes an image square as it was done when the model was judged. */
export const cropOption = { center_crop: 'centerCrop', squash: 'scaleFill' } as const;

/** As Xcode calls the class that it makes of a model: what no identifier can have becomes an underscore. */
export const swiftClass = (name: string): string => name.replace(/[^\p{L}\p{N}_]/gu, '_');
