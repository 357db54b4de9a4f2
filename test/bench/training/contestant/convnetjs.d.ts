/** The part of ConvNetJS, which has no types of its own, that the benchmark uses. */

declare module "convnetjs" {
  export interface ConvNetVolume {
    readonly w: Float64Array;
  }
  export interface ConvNetLayer {
    readonly filters?: readonly ConvNetVolume[];
    readonly biases?: ConvNetVolume;
  }
  export type ConvNetLayerDefinition = Readonly<Record<string, string | number>>;
  interface Net {
    readonly layers: readonly ConvNetLayer[];
    makeLayers(definitions: readonly ConvNetLayerDefinition[]): void;
  }
  interface Trainer {
    train(input: ConvNetVolume, label: number): { readonly cost_loss: number };
  }
  const convnetjs: {
    readonly Net: new () => Net;
    readonly Trainer: new (net: Net, options: Readonly<Record<string, string | number>>) => Trainer;
    readonly Vol: new (width: number, height: number, depth: number, fill: number) => ConvNetVolume;
  };
  export default convnetjs;
}
