// Everything that the backend may call, from one module. The memory is imported and laid out by the caller: no kernel keeps
// anything between calls, and none allocates.

export { convolve, convolveDataGradient, convolveFilterGradient, crop, pad } from "./convolution";
export { dense, denseDataGradient, denseFilterGradient } from "./dense";
export { softmaxCrossEntropy } from "./loss";
export { maxPool, maxPoolGradient, scatterPoolGradient } from "./pooling";
export { fillZero, gather, heavyBall, maskByRelu, settle, takeDifference } from "./vectors";
