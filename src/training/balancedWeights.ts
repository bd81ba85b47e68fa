/**
 * n / (classes · count) of each class, as scikit-learn's compute_class_weight: the images of each weigh the same together, and an image one
 * on average. A class without images, which scikit-learn knows nothing of, is none of the classes and has weight 1: only smoothing sees it.
 */
export function balancedWeights(counts: readonly number[]): number[] {
  const n = counts.reduce((sum, count) => sum + count, 0);
  const present = counts.filter((count) => count > 0).length;
  return counts.map((count) => (count > 0 ? n / (present * count) : 1));
}
