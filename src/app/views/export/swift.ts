import { swiftClass, visionOption } from '../../../workers/clients.ts';

/** What an app does with the package, in the geometry in which the model was judged here. */
export function swiftSnippet(name: string, geometry: 'center_crop' | 'squash'): string {
  const option = cropOption(geometry);
  return `import CoreML
import Vision

let core = try ${swiftClass(name)}(configuration: MLModelConfiguration())
let model = try VNCoreMLModel(for: core.model)
let request = VNCoreMLRequest(model: model) { request, _ in
    let found = request.results as? [VNClassificationObservation]
    guard let best = found?.first else { return }
    print(best.identifier, best.confidence)  // a probability, 0 to 1
}
request.imageCropAndScaleOption = ${option}  // as it was judged here
try VNImageRequestHandler(cgImage: image).perform([request])`;
}

export function cropOption(geometry: 'center_crop' | 'squash'): string {
  return `.${visionOption[geometry]}`;
}
