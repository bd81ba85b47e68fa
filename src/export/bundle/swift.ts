/**
 * The Swift of a bundle, the same in all of them: what differs, `golden/golden.json` says. Nobody here has a Mac; what was looked up is each
 * API in Apple's documentation: `MLModel.compileModel(at:)` (the one that waits: deprecated, there from macOS 10.13 on),
 * `MLModel(contentsOf:configuration:)`, `VNCoreMLModel(for:)`, `VNCoreMLRequest.imageCropAndScaleOption`,
 * `VNImageRequestHandler(cgImage:options:)`, `VNClassificationObservation`. tests/python/judge_bundle.py parses it.
 */

const unrun =
  'This cannot run on Linux, where it was written, and was not run by its authors: Vision and Core ML are on Apple’s systems alone.';

/** Reads the golden images and asks Vision. */
const comparison = String.raw`/// golden.json, beside the images.
private struct Golden: Decodable {
    struct Model: Decodable {
        let file: String
        let format: String
        let maxDifference: Double
        let maxFlips: Int
    }

    struct Image: Decodable {
        let file: String
        let label: Int
        let trained: [Double]
        /// By format. What is no number, in a model whose certificate failed, is nil.
        let exported: [String: [Double?]]
    }

    let labels: [String]
    let imageCropAndScaleOption: String
    let models: [Model]
    let images: [Image]

    static func read(from folder: URL) throws -> Golden {
        let data = try Data(contentsOf: folder.appendingPathComponent("golden.json"))
        return try JSONDecoder().decode(Golden.self, from: data)
    }

    func cropOption() throws -> VNImageCropAndScaleOption {
        switch imageCropAndScaleOption {
        case "centerCrop": return .centerCrop
        case "scaleFill": return .scaleFill
        default: throw ParityError(description: "golden.json names an unknown option: \(imageCropAndScaleOption)")
        }
    }
}

private struct ParityError: Error, CustomStringConvertible {
    let description: String
}

/// How far what Vision says is from what the trained model said.
private struct Agreement {
    var images = 0
    /// Of a probability.
    var maxDifference = 0.0
    /// Images whose most probable class is another one.
    var flips = 0
}

private func visionModel(at url: URL, on computeUnits: MLComputeUnits) throws -> VNCoreMLModel {
    // The app's own, .mlmodelc, is compiled already.
    let compiled = url.pathExtension == "mlmodelc" ? url : try MLModel.compileModel(at: url)
    let configuration = MLModelConfiguration()
    configuration.computeUnits = computeUnits
    return try VNCoreMLModel(for: MLModel(contentsOf: compiled, configuration: configuration))
}

/// The pixels as they lie in the file, called sRGB: Vision then has no colours to convert, and, the image being of the model's size, none to scale.
private func image(at url: URL) throws -> CGImage {
    guard let source = CGImageSourceCreateWithURL(url as CFURL, nil),
        let image = CGImageSourceCreateImageAtIndex(source, 0, nil)
    else { throw ParityError(description: "No image can be read from \(url.path)") }
    guard let space = CGColorSpace(name: CGColorSpace.sRGB), let plain = image.copy(colorSpace: space) else { return image }
    return plain
}

private func mostProbable(_ probabilities: [Double]) -> Int? {
    return probabilities.indices.max(by: { probabilities[$0] < probabilities[$1] })
}

/// Asks Vision for every golden image that the model of this format was compared by.
private func agreement(
    of url: URL, format: String, with golden: Golden, in folder: URL, on computeUnits: MLComputeUnits
) throws -> Agreement {
    let model = try visionModel(at: url, on: computeUnits)
    let option = try golden.cropOption()
    var agreement = Agreement()
    for expected in golden.images where expected.exported[format] != nil {
        let request = VNCoreMLRequest(model: model)
        request.imageCropAndScaleOption = option
        let picture = try image(at: folder.appendingPathComponent(expected.file))
        try VNImageRequestHandler(cgImage: picture, options: [:]).perform([request])
        guard let observations = request.results as? [VNClassificationObservation] else {
            throw ParityError(description: "Vision does not take \(url.lastPathComponent) for a classifier")
        }
        var confidences: [String: Double] = [:]
        for observation in observations { confidences[observation.identifier] = Double(observation.confidence) }
        let found = try golden.labels.map { label -> Double in
            guard let confidence = confidences[label] else {
                throw ParityError(description: "\(url.lastPathComponent) says nothing of \(label)")
            }
            return confidence
        }
        for (probability, trained) in zip(found, expected.trained) {
            let difference = abs(probability - trained)
            agreement.maxDifference = difference.isNaN ? .infinity : max(agreement.maxDifference, difference)
        }
        if mostProbable(found) != mostProbable(expected.trained) { agreement.flips += 1 }
        agreement.images += 1
    }
    if agreement.images == 0 { throw ParityError(description: "No golden image is for \(format)") }
    return agreement
}
`;

/** `Tests/ModelParityTests.swift` */
export const parityTests = `// ${unrun}
//
// The models of this bundle say on this machine, by Vision, what the trained model said of the images in golden/. Add this file to a test target
// (macOS, or an iOS simulator) and leave it where it lies: it looks for models and images in the folder above its own.
import CoreGraphics
import CoreML
import Foundation
import ImageIO
import Vision
import XCTest

${comparison}
final class ModelParityTests: XCTestCase {
    /// The bundle's.
    private let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()

    /// On the processor, which computes in the precision that the certificate speaks of.
    func testProbabilitiesAreThoseOfTheTrainedModel() throws {
        try forEachModel(on: .cpuOnly) { model, found in
            XCTAssertLessThanOrEqual(found.maxDifference, model.maxDifference, model.file)
            XCTAssertLessThanOrEqual(found.flips, model.maxFlips, model.file)
        }
    }

    /// On whatever the app will use: the Neural Engine rounds to float16.
    func testTheMostProbableClassIsThatOfTheTrainedModel() throws {
        try forEachModel(on: .all) { model, found in
            XCTAssertLessThanOrEqual(found.flips, model.maxFlips, model.file)
        }
    }

    private func forEachModel(on computeUnits: MLComputeUnits, _ check: (Golden.Model, Agreement) -> Void) throws {
        let images = folder.appendingPathComponent("golden")
        let golden = try Golden.read(from: images)
        let models = golden.models.filter { ["mlpackage", "mlmodel"].contains($0.format) }
        XCTAssertFalse(models.isEmpty, "golden.json names no Core ML model")
        for model in models {
            let url = folder.appendingPathComponent(model.file)
            check(model, try agreement(of: url, format: model.format, with: golden, in: images, on: computeUnits))
        }
    }
}
`;

/** `check.swift` */
export const checkScript = `// ${unrun}
//
//     swift check.swift MODEL golden/ [--all]
//
// MODEL: the .mlpackage or .mlmodel of this bundle, or the .mlmodelc that Xcode made of it. Computes on the processor, as the certificate
// does; with --all on whatever an app would use. Ends with 0 where the model says what the trained one said, with 1 where not, else with 2.
import CoreGraphics
import CoreML
import Foundation
import ImageIO
import Vision

${comparison}
/// Whether it agrees.
private func check(_ arguments: [String]) throws -> Bool {
    let paths = arguments.filter { $0 != "--all" }
    guard paths.count == 2 else { throw ParityError(description: "swift check.swift MODEL golden/ [--all]") }
    let url = URL(fileURLWithPath: paths[0])
    let images = URL(fileURLWithPath: paths[1], isDirectory: true)
    let golden = try Golden.read(from: images)
    let stem = url.deletingPathExtension().lastPathComponent
    let compiled = url.pathExtension == "mlmodelc"
    let named = golden.models.first { model in
        compiled ? model.file.hasPrefix(stem + ".ml") : model.file == url.lastPathComponent
    }
    guard let model = named else {
        let known = golden.models.map { $0.file }.joined(separator: ", ")
        throw ParityError(description: "golden.json does not speak of \\(url.lastPathComponent), but of \\(known)")
    }
    let units: MLComputeUnits = arguments.contains("--all") ? .all : .cpuOnly
    let found = try agreement(of: url, format: model.format, with: golden, in: images, on: units)
    print("\\(found.images) images: largest difference of a probability \\(found.maxDifference), at most \\(model.maxDifference) is allowed")
    print("\\(found.flips) images with another most probable class, at most \\(model.maxFlips) are allowed")
    return found.maxDifference <= model.maxDifference && found.flips <= model.maxFlips
}

do {
    let agrees = try check(Array(CommandLine.arguments.dropFirst()))
    print(agrees ? "It says what the trained model said." : "IT DOES NOT SAY WHAT THE TRAINED MODEL SAID.")
    exit(agrees ? 0 : 1)
} catch {
    print(error)
    exit(2)
}
`;
