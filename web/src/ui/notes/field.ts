/** The name that Collaboration gives its fragment of the document by default. */
export const FIELD = "default";
