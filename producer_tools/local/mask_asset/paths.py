"""The paths of the mask-asset service, for the service and for its callers."""

UPLOAD_PATH = "/v1/mask/upload"
BEHAVIOUR_PATH = "/behaviour"
LOG_PATH = "/uploads"
