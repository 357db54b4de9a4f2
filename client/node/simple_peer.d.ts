/** simple-peer brings no types; `shared/wire/peer.ts` says what is used of it. */
declare module "simple-peer" {
  const SimplePeer: new (options: object) => never;
  export default SimplePeer;
}
