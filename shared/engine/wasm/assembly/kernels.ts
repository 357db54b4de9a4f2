// Everything that the backend may call, from one module. The memory is imported and laid out by the caller: no kernel keeps
// anything between calls, and none allocates.

export { activate, activateGradient, undoActivation } from "./activation";
export { averagePool, averagePoolGradient } from "./average_pooling";
export {
  batchNormDataGradient, dataGradientCoefficients, finishMoments, finishScaleGradients, normaliseChannels, runningFactors,
  scaleFactors, sumMoments, sumScaleGradients,
} from "./batch_norm";
export { addDecoded, encodeDifference, encodeGradient } from "./codecs";
export { filterGradient, packTaps, pad } from "./convolution";
export { dense, denseDataGradient, denseFilterGradient } from "./dense";
export { depthwiseFilterGradient, multiplyDepthwise, packDepthwise } from "./depthwise";
export { dropout } from "./dropout";
export { addTensors, copyChannels, embed, embedGradient, sumColumns } from "./elements";
export { gather } from "./gathering";
export { globalAveragePool, globalAveragePoolGradient } from "./global_pooling";
export { layerNorm, layerNormDataGradient, sumLayerScaleGradients } from "./layer_norm";
export { localResponse, localResponseGradient } from "./local_response";
export { meanSquaredError, softmaxCrossEntropy } from "./loss";
export { packPanels, packPanelsTransposed } from "./panels";
export { maxPool, maxPoolGradient, scatterPoolGradient } from "./pooling";
export { multiply } from "./products";
export { addVector, fillZero, settle, takeDifference } from "./vectors";
export { adamwUpdate, clipScale, larsUpdate, momentumUpdate, nesterovUpdate, squareSum } from "./updates";
